"""The corpus: what is kept survives, is tried first, and is varied into programs."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.config import BadOption, Options
from conformance.dialects import Dialect
from conformance.fuzz.campaign import Campaign, FuzzPlan
from conformance.fuzz.choosing import Dice
from conformance.fuzz.corpus import Corpus, Database, Folder, open_database
from conformance.fuzz.grammar import generate
from conformance.fuzz.mutating import mutate
from tests.fuzz.test_fuzz_grammar import sound

ONE, TWO = generate("corpus/1"), generate("corpus/2")


@pytest.fixture
def redis_url() -> Iterator[str]:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


def survives(database: Database, again: Database) -> None:
    database.add("corpus", ONE)
    database.add("corpus", ONE)
    database.add("findings", TWO)
    assert [p.moves for p in again.load("corpus")] == [ONE.moves]
    assert [p.moves for p in again.load("findings")] == [TWO.moves]
    assert [p.moves for p in Corpus.of(again).first] == [TWO.moves, ONE.moves]  # what found something comes first


def test_a_folder_survives(tmp_path: Path) -> None:
    survives(Folder(tmp_path), Folder(tmp_path))


def test_redis_is_shared(redis_url: str) -> None:
    database, again = open_database(redis_url), open_database(redis_url)
    assert database is not None
    assert again is not None
    survives(database, again)


def test_what_is_damaged_is_left_out(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.add("corpus", ONE)
    (tmp_path / "corpus" / "broken.json").write_text('{"name": "x", "moves": [{"do": "nonsense"}]}')
    (tmp_path / "corpus" / "cut.json").write_text('{"name": "x", "mo')
    assert [p.moves for p in folder.load("corpus")] == [ONE.moves]


def test_a_database_that_is_not_there_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadOption, match="--database"):
        open_database(str(tmp_path / "file"))
    with pytest.raises(BadOption, match="--database") as error:
        open_database("redis://:secret@127.0.0.1:9/0")
    assert "secret" not in str(error.value)


def test_what_was_kept_is_tried_first() -> None:
    drawn = []
    for _ in range(2):
        corpus = Corpus()
        corpus.first.extend([ONE, TWO])
        campaign = Campaign(FuzzPlan("http://127.0.0.1:9", Options(), Dialect(), 5), corpus=corpus)
        drawn.append([campaign._next()[0] for _ in range(30)])
        assert [p.moves for p in drawn[-1][:2]] == [ONE.moves, TWO.moves]
    assert drawn[0] == drawn[1]
    assert len({str(p.moves) for p in drawn[0]}) == 30


def test_variations_are_programs_and_differ() -> None:
    differ = 0
    for i in range(300):
        program = generate(f"vary/{i}")
        varied = mutate(Dice(i), program, "varied")
        sound(varied)
        differ += varied.moves != program.moves
    assert differ > 200


def test_a_program_of_one_run_can_be_varied() -> None:
    single = next(p for i in range(500) if len((p := generate(f"single/{i}")).creates()) == 1 and len(p.moves) < 3)
    for i in range(2000):
        sound(mutate(Dice(i), single, "varied"))


def test_rare_cells_are_varied_rather_than_common_ones() -> None:
    corpus, rare, common = Corpus(), ("reject", "a", "runs", "x"), ("reject", "b", "runs", "x")
    corpus.reached(ONE, [rare])
    corpus.reached(TWO, [common])
    seen = Counter({rare: 1, common: 100})
    chosen = [corpus.choose(Dice(i), seen) for i in range(100)]
    assert chosen.count(ONE) > 70
