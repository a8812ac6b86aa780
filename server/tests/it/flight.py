"""Reads forecasts by Flight: flight.py LOCATION COMMAND FILE TURNS. Writes the table to FILE, and says what it saw."""

import json
import sys
import time

import pyarrow as pa
import pyarrow.flight as flight

location, command, path, turns = sys.argv[1:]
client = flight.connect(location)
descriptor = flight.FlightDescriptor.for_command(command)
info = client.get_flight_info(descriptor)
schema = client.get_schema(descriptor).schema

seconds = []
for _ in range(int(turns)):
    begin = time.perf_counter()
    table = client.do_get(info.endpoints[0].ticket).read_all()
    seconds.append(time.perf_counter() - begin)

# As a person would write it: the command in the place of the ticket, one line, as pandas.
frame = client.do_get(flight.Ticket(command)).read_all().to_pandas()

told, batches = [], 0
for chunk in client.do_get(info.endpoints[0].ticket):
    batches += 1
    told += json.loads(bytes(chunk.app_metadata)) if chunk.app_metadata else []


def refusal(call):
    try:
        call()
    except pa.ArrowException as error:
        return f"{type(error).__name__}: {error}"
    return ""


with pa.ipc.new_file(path, table.schema) as file:
    # One dictionary for the whole file.
    file.write_table(table.unify_dictionaries())

json.dump(
    {
        "equal_schemas": info.schema == schema == table.schema,
        "records": info.total_records,
        "rows": table.num_rows,
        "frame_rows": len(frame),
        "frame_series": frame["series"].nunique(),
        "errors": frame.loc[frame["error"].notna(), ["series", "error"]].values.tolist(),
        "batches": batches,
        "told": told,
        "bytes": table.nbytes,
        "seconds": sorted(seconds)[len(seconds) // 2],
        "listed": [flight.descriptor.path[0].decode() for flight in client.list_flights()],
        "unreadable": refusal(lambda: client.do_get(flight.Ticket(b"{}")).read_all()),
        "not_offered": refusal(lambda: list(client.do_action("x"))),
    },
    sys.stdout,
)
