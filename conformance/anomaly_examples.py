"""One minimal history of every named anomaly, and the same as it should have been."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, str]] = {
    "double admission": (
        """
A = emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                      create B reject ─200
run A    |                   enter 0                                         leave 0  enter 1  leave 1
run B    |                                                                                               enter 0
harness  |                                                    open g
""",
        """
A = emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                      create B reject ─409
run A    |                   enter 0                                         leave 0  enter 1  leave 1
harness  |                                                    open g
""",
    ),
    "phantom run": (
        """
A = emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                      create B reject ─409
run A    |                   enter 0                                                         leave 0
harness  |                                            list ─A running B pending                open g
""",
        """
A = emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                      create B reject ─409
run A    |                   enter 0                                                         leave 0
harness  |                                            list ─A running                open g
""",
    ),
    "lost update": (
        """
A = add add
B = add

client 1 |create A enqueue ─200
client 2 |create B enqueue ─200
run A    |                       enter 0  leave 0  enter 1  leave 1
run B    |                                                           enter 0 found nothing  leave 0

ms       |200
harness  |settled  get A ─success  get B ─success  state ─B0
""",
        """
A = add add
B = add

client 1 |create A enqueue ─200
client 2 |create B enqueue ─200
run A    |                       enter 0  leave 0  enter 1  leave 1
run B    |                                                           enter 0  leave 0

ms       |200
harness  |settled  get A ─success  get B ─success  state ─A0 A1 B0
""",
    ),
    "interleaved segments": (
        """
A = emit@g emit
B = emit emit

client 1 |create A enqueue ─200
client 2 |                      create B enqueue ─200
run A    |                   enter 0                                             leave 0  enter 1  leave 1
run B    |                                             enter 0  leave 0
harness  |                                                                open g

ms       |200
run B    |enter 1  leave 1
harness  |                            settled  get A ─success  get B ─success  state ─A0 B0 A1 B1
""",
        """
A = emit@g emit
B = emit emit

client 1 |create A enqueue ─200
client 2 |                      create B enqueue ─200
run A    |                   enter 0                                             leave 0  enter 1  leave 1
harness  |                                                                open g

ms       |200
run B    |enter 0  enter 1  leave 1
harness  |                            settled  get A ─success  get B ─success  state ─A0 A1 B0 B1
""",
    ),
    "queue inversion": (
        """
A = emit@g
X = emit
Y = emit

client 1 |create A enqueue ─200
client 2 |                      create X enqueue ─200
client 3 |                                             create Y enqueue ─200
run A    |                   enter 0                                                   leave 0
harness  |                                                                     open g

ms       |200
run Y    |enter 0  leave 0
run X    |                  enter 0  leave 0
harness  |                                    settled  get A ─success  get X ─success  get Y ─success  state ─A0 Y0 X0
""",
        """
A = emit@g
X = emit
Y = emit

client 1 |create A enqueue ─200
client 2 |                      create X enqueue ─200
client 3 |                                             create Y enqueue ─200
run A    |                   enter 0                                                   leave 0
harness  |                                                                     open g

ms       |200
run X    |enter 0  leave 0
run Y    |                  enter 0  leave 0
harness  |                                    settled  get A ─success  get X ─success  get Y ─success  state ─A0 X0 Y0
""",
    ),
    "vanished input": (
        """
A = emit@g
B = emit

client 1 |create A enqueue ─200
client 2 |                      create B enqueue ─200
run A    |                   enter 0                             leave 0
harness  |                                                open g

ms       |200
harness  |settled  get A ─success  get B ─404  state ─A0
""",
        """
A = emit@g
B = emit

client 1 |create A enqueue ─200
client 2 |                      create B enqueue ─200
run A    |                   enter 0                             leave 0
run B    |                                                              enter 0  leave 0
harness  |                                                open g

ms       |200
harness  |settled  get A ─success  get B ─success  state ─A0 B0
""",
    ),
    "dirty rollback": (
        """
A = emit emit@g emit
B = emit
c0 <
c1 < c0 A0
c2 < c1 A0 B0

client 1 |create A enqueue ─200
client 2 |                                      create B rollback ─200
run A    |               enter 0  leave 0  enter 1                     cancelled 1
run B    |                                                                          enter 0 found A0  leave 0
harness  |

ms       |200
harness  |settled  get A ─404  get B ─success  state ─c2  history ─c2 c1 c0
""",
        """
A = emit emit@g emit
B = emit
c0 <
c1 < c0 B0

client 1 |create A enqueue ─200
client 2 |                                      create B rollback ─200
run A    |               enter 0  leave 0  enter 1                     cancelled 1
run B    |                                                                          enter 0  leave 0
harness  |

ms       |200
harness  |settled  get A ─404  get B ─success  state ─c1  history ─c1 c0
""",
    ),
    "resurrected run": (
        """
A = emit emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                                      create B rollback ─200
run A    |               enter 0  leave 0  enter 1                     cancelled 1
run B    |                                                                          enter 0  leave 0
harness  |                                                                                    get A ─404

ms       |200
harness  |settled  get A ─interrupted  get B ─success  state ─B0
""",
        """
A = emit emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                                      create B rollback ─200
run A    |               enter 0  leave 0  enter 1                     cancelled 1
run B    |                                                                          enter 0  leave 0
harness  |                                                                                    get A ─404

ms       |200
harness  |settled  get A ─404  get B ─success  state ─B0
""",
    ),
    "zombie checkpoint": (
        """
A = emit emit@g emit
B = emit
c0 <
c1 < c0 A0
c2 < c1 A0 B0
z < c1 A0 A1

client 1 |create A enqueue ─200
client 2 |                                      create B interrupt ─200
run A    |               enter 0  leave 0  enter 1                                        leave 1
run B    |                                                               enter 0  leave 0
harness  |                                                                        open g

ms       |200
harness  |settled  get A ─interrupted  get B ─success  state ─c2  history ─z c2 c1 c0
""",
        """
A = emit emit@g emit
B = emit
c0 <
c1 < c0 A0
c2 < c1 A0 B0


client 1 |create A enqueue ─200
client 2 |                                      create B interrupt ─200
run A    |               enter 0  leave 0  enter 1                            cancelled 1
run B    |                                                               enter 0  leave 0
harness  |                                                                        open g

ms       |200
harness  |settled  get A ─interrupted  get B ─success  state ─c2  history ─c2 c1 c0
""",
    ),
    "ignored displacement": (
        """
A = emit emit@g emit
B = emit

ms       |0                                                             60      2100
client 1 |create A enqueue ─200
client 2 |                                      create B interrupt ─200
run A    |               enter 0  leave 0  enter 1
harness  |                                                                      stop-waited A  open g

ms       |2200
run A    |leave 1  enter 2  leave 2
run B    |                           enter 0  leave 0
harness  |                                             settled  get A ─success  get B ─success  state ─A0 A1 A2 B0
""",
        """
A = emit emit@g emit
B = emit

ms       |0                                                             60      2100
client 1 |create A enqueue ─200
client 2 |                                      create B interrupt ─200
run A    |               enter 0  leave 0  enter 1                     cancelled 1
harness  |                                                                      stop-waited A told  open g

ms       |2200
run A    |
run B    |                           enter 0  leave 0
harness  |                                             settled  get A ─interrupted  get B ─success  state ─A0 B0
""",
    ),
    "relabelled run": (
        """
A = emit emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                                      create B rollback ─200
run A    |               enter 0  leave 0  enter 1                     cancelled 1
run B    |                                                                          enter 0  leave 0

ms       |200
harness  |settled  get A ─interrupted  get B ─success  state ─B0
""",
        """
A = emit emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                                      create B rollback ─200
run A    |               enter 0  leave 0  enter 1                     cancelled 1
run B    |                                                                          enter 0  leave 0

ms       |200
harness  |settled  get A ─404  get B ─success  state ─B0
""",
    ),
    "injected input": (
        """
A = emit emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                                      create B interrupt ─200
run A    |               enter 0  leave 0  enter 1                              leave 1  enter 2 last B
run B    |                                                                                                   enter 0
harness  |                                                               open g

ms       |200
harness  |settled  get A ─interrupted  get B ─success  state ─A0 A1 A2 B0
""",
        """
A = emit emit@g emit
B = emit

client 1 |create A enqueue ─200
client 2 |                                      create B interrupt ─200
run A    |               enter 0  leave 0  enter 1                              leave 1
run B    |                                                                                                   enter 0
harness  |                                                               open g

ms       |200
harness  |settled  get A ─interrupted  get B ─success  state ─A0 A1 B0
""",
    ),
    "stuck busy": (
        """
A = emit

client 1 |create A enqueue ─200
run A    |                   enter 0  leave 0

ms       |20000
harness  |settle:list ─A success  settle:thread ─busy  unsettled waited 20 status busy
""",
        """
A = emit

client 1 |create A enqueue ─200
run A    |                   enter 0  leave 0

ms       |20000
harness  |settle:list ─A success  settle:thread ─idle  settled status idle
""",
    ),
    "stale refusal": (
        """
A = emit
B = emit

client 1 |create A enqueue ─200                                          create B reject ─409
run A    |                   enter 0  leave 0
harness  |                                     get A ─success
""",
        """
A = emit
B = emit

client 1 |create A enqueue ─200                                          create B reject ─200
run A    |                   enter 0  leave 0
harness  |                                     get A ─success
""",
    ),
    "terminal flip": (
        """
A = emit

client 1 |create A enqueue ─200
run A    |                   enter 0  leave 0
harness  |                                     get A ─success  get A ─interrupted
""",
        """
A = emit

client 1 |create A enqueue ─200
run A    |                   enter 0  leave 0
harness  |                                     get A ─success  get A ─success
""",
    ),
    "cross-thread leak": (
        """
A = emit@g emit
B = emit
X = emit@x

client 1 |create A enqueue ─200
client 2 |create X enqueue on u ─200
client 3 |                             create B interrupt ─200
run A    |                      enter 0                              cancelled 0
run X    |                      enter 0                              cancelled 0
run B    |                                                                       enter 0  leave 0
harness  |                                                                open x

ms       |200
harness  |settled  settled on u  get A ─interrupted  get X ─interrupted
""",
        """
A = emit@g emit
B = emit
X = emit@x

client 1 |create A enqueue ─200
client 2 |create X enqueue on u ─200
client 3 |                             create B interrupt ─200
run A    |                      enter 0                              cancelled 0
run X    |                      enter 0                                          leave 0
run B    |                                                                       enter 0  leave 0
harness  |                                                                open x

ms       |200
harness  |settled  settled on u  get A ─interrupted  get X ─success
""",
    ),
    "broken lineage": (
        """
A = emit emit
c0 <
c1 < c0 A0
c2 < "lost" A0 A1

client 1 |create A enqueue ─200
run A    |                   enter 0  leave 0  enter 1  leave 1

ms       |100
harness  |settled  get A ─success  state ─c2  history ─c2 c1 c0
""",
        """
A = emit emit
c0 <
c1 < c0 A0
c2 < c1 A0 A1

client 1 |create A enqueue ─200
run A    |                   enter 0  leave 0  enter 1  leave 1

ms       |100
harness  |settled  get A ─success  state ─c2  history ─c2 c1 c0
""",
    ),
}
