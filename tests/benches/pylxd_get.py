"""The same small GET by pylxd. Prints CPU and wall time of the requests alone, in nanoseconds."""

import sys
import time
import urllib.parse

import pylxd

socket, count = sys.argv[1], int(sys.argv[2])
client = pylxd.Client(endpoint="http+unix://" + urllib.parse.quote(socket, safe=""))


def request():
    assert client.storage_pools.get("dir0").driver == "dir"


for _ in range(20):
    request()
cpu, wall = time.process_time_ns(), time.perf_counter_ns()
for _ in range(count):
    request()
print(time.process_time_ns() - cpu, time.perf_counter_ns() - wall)
