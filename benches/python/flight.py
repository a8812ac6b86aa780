"""Reads fleets by Arrow Flight: for each line, an object with `location` and `command`, the seconds, bytes and rows of one reading."""

import json
import sys
import time

import pyarrow.flight as flight

for line in sys.stdin:
    question = json.loads(line)
    client = flight.connect(question["location"])
    ticket = flight.Ticket(json.dumps(question["command"]))
    begin = time.perf_counter()
    table = client.do_get(ticket).read_all()
    seconds = time.perf_counter() - begin
    client.close()
    print(json.dumps({"seconds": seconds, "bytes": table.nbytes, "rows": table.num_rows}), flush=True)
