"""The storage guide of pylxd, step by step; run with the socket's path as the argument."""

import sys

import pylxd
from pylxd.exceptions import LXDAPIException, NotFound

client = pylxd.Client(endpoint=sys.argv[1])
assert client.trusted

pool = client.storage_pools.create({"name": "p", "driver": "dir", "config": {}})
assert [one.name for one in client.storage_pools.all()] == ["p"]
assert client.storage_pools.exists("p") and not client.storage_pools.exists("q")
assert client.storage_pools.get("p").driver == "dir"
try:
    client.storage_pools.create({"name": "p", "driver": "dir", "config": {}})
except LXDAPIException as error:
    assert "already exists" in str(error), error
else:
    raise AssertionError("the name was taken")

pool.description = "saved"
pool.save(wait=True)
pool.patch({"config": {"user.a": "1"}}, wait=True)
pool.sync()
assert pool.config["user.a"] == "1", pool.config
pool.put({"description": "put", "config": {"source": pool.config["source"]}}, wait=True)
pool.sync()
assert (pool.description, "user.a" in pool.config) == ("put", False)
assert pool.resources.get().space["total"] > 0

volume = pool.volumes.create({"type": "custom", "name": "v", "config": {"size": "10MiB"}})
assert [one.name for one in pool.volumes.all()] == ["v"]
volume = pool.volumes.get("custom", "v")
assert volume.config["size"] == "10MiB", volume.config
volume.config["user.x"] = "y"
volume.save(wait=True)
volume.patch({"config": {"user.z": "1"}})
volume = pool.volumes.get("custom", "v")
assert (volume.config["user.x"], volume.config["user.z"]) == ("y", "1")

snapshot = volume.snapshots.create("s0", wait=True)
assert [one.name for one in volume.snapshots.all(use_recursion=True)] == ["s0"]
volume.restore_from("s0", wait=True)
snapshot = volume.snapshots.get("s0")
snapshot.rename("s1", wait=True)
volume.snapshots.get("s1").delete(wait=True)
assert volume.snapshots.all() == []

volume.rename({"name": "w", "pool": "p"}, wait=True)
assert [one.name for one in pool.volumes.all()] == ["w"]
pool.volumes.get("custom", "w").delete()
try:
    pool.volumes.get("custom", "w")
except NotFound:
    pass
else:
    raise AssertionError("it was deleted")
pool.delete()
assert client.storage_pools.all() == []
print("all of it works")
