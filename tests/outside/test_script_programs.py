"""Scripts as the programs that live on them write them: locks on several servers at once, as Redlock describes them, and a
queue of background jobs with delays, retries, limits and unique jobs, as Sidekiq and its extensions work."""

import json
import threading
import time

import redis

# ---- locks on several servers

RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
EXTEND = """
for i, key in ipairs(KEYS) do
    if redis.call("get", key) ~= ARGV[1] then return 0 end
end
for i, key in ipairs(KEYS) do redis.call("pexpire", key, ARGV[2]) end
return #KEYS
"""
ACQUIRE = """
for i, key in ipairs(KEYS) do
    if redis.call("exists", key) == 1 then return 0 end
end
for i, key in ipairs(KEYS) do redis.call("set", key, ARGV[1], "PX", ARGV[2]) end
return #KEYS
"""


class Lock:
    """Held when most of the servers say so."""

    def __init__(self, clients, resources, token):
        self.clients, self.resources, self.token = clients, resources, token

    def ask(self, script, *arguments):
        """How many servers did what was asked."""
        done = 0
        for client in self.clients:
            try:
                done += client.register_script(script)(keys=self.resources, args=[self.token, *arguments]) == len(self.resources)
            except redis.ConnectionError:
                pass
        return done

    def acquire(self, ms):
        if self.ask(ACQUIRE, ms) > len(self.clients) // 2:
            return True
        self.release()
        return False

    def release(self):
        for resource in self.resources:
            for client in self.clients:
                try:
                    client.register_script(RELEASE)(keys=[resource], args=[self.token])
                except redis.ConnectionError:
                    pass


def test_locks_on_several_servers(start):
    servers = [start() for _ in range(3)]
    clients = [server.client() for server in servers]
    mine, other = Lock(clients, ["{l}a", "{l}b"], "mine"), Lock(clients, ["{l}b"], "other")
    assert mine.acquire(60_000) and not other.acquire(60_000)
    assert mine.ask(EXTEND, 120_000) == 3 and all(client.pttl("{l}a") > 60_000 for client in clients)
    other.release()  # not its own
    assert all(client.get("{l}b") == b"mine" for client in clients)
    servers[0].stop()
    assert mine.ask(EXTEND, 60_000) == 2
    mine.release()
    assert other.acquire(1)
    for client in clients[1:]:
        client.script_flush()  # they are loaded again
    time.sleep(0.01)
    assert mine.acquire(60_000)


def test_only_one_has_the_lock(start):
    """Several threads count under it, each reading and writing in two steps."""
    servers = [start() for _ in range(3)]
    counters, rounds, threads = servers[0].client(), 15, 4

    def work(name):
        clients = [server.client() for server in servers]
        for i in range(rounds):
            lock = Lock(clients, ["lock"], f"{name}:{i}")
            while not lock.acquire(30_000):
                time.sleep(0.001 * (name + 1))
            seen = int(clients[0].get("count") or 0)
            clients[0].set("count", seen + 1)
            lock.release()

    running = [threading.Thread(target=work, args=(name,)) for name in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    assert int(counters.get("count")) == rounds * threads


# ---- a queue of jobs

POP_DUE = """
local jobs = redis.call("zrange", KEYS[1], "-inf", ARGV[1], "byscore", "limit", 0, 1)
if jobs[1] then
    redis.call("zrem", KEYS[1], jobs[1])
    return jobs[1]
end
"""
PUSH_UNIQUE = """
local job = cjson.decode(ARGV[1])
local lock = KEYS[1] .. ":unique:" .. redis.sha1hex(job.class .. cjson.encode(job.args))
if not redis.call("set", lock, job.jid, "nx", "ex", ARGV[2]) then
    return redis.status_reply("DUPLICATE")
end
redis.call("sadd", "queues", KEYS[1])
job.enqueued_at = tonumber(ARGV[3])
redis.call("lpush", "queue:" .. KEYS[1], cjson.encode(job))
return {job.jid, lock}
"""
WINDOW_LIMIT = """
local now, window, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call("zremrangebyscore", KEYS[1], "-inf", now - window)
local count = redis.call("zcard", KEYS[1])
if count >= most then
    local oldest = redis.call("zrange", KEYS[1], 0, 0, "withscores")
    return {0, tostring(oldest[2] + window - now)}
end
redis.call("zadd", KEYS[1], now, ARGV[4])
redis.call("expire", KEYS[1], window)
return {1, most - count - 1}
"""
RECOVER = """
local moved = 0
while redis.call("lmove", KEYS[1], KEYS[2], "right", "left") do moved = moved + 1 end
redis.call("srem", "processes", ARGV[1])
return moved
"""
DRAIN = """
local size, done = redis.call("llen", KEYS[1]), {}
for i = 1, size do
    local job = redis.call("rpop", KEYS[1])
    local ok, decoded = pcall(cjson.decode, job)
    if ok and decoded.retry_count and decoded.retry_count >= tonumber(ARGV[1]) then
        redis.call("zadd", KEYS[2], ARGV[2], job)
    elseif ok then
        redis.call("lpush", KEYS[1], job)
    end
    done[#done + 1] = ok
end
return done
"""


def job(number, **more):
    return json.dumps({"class": "Work", "args": [number, "x"], "jid": f"jid{number}", "retry": True, **more})


def test_jobs_are_run_once(start):
    """Delayed ones by several pollers, into a queue that several workers empty, one of whom dies with a job in hand."""
    server, count = start(appendonly="yes", appendfsync="no"), 60
    client = server.client()
    with client.pipeline(transaction=True) as pipe:
        for i in range(count):
            pipe.zadd("schedule", {job(i): 1000 + i})
        pipe.execute()

    def poll():
        own = server.client()
        pop = own.register_script(POP_DUE)
        while (due := pop(keys=["schedule"], args=[1000 + count // 2 - 1])) is not None:
            own.pipeline().sadd("queues", "default").lpush("queue:default", due).execute()

    def work(name):
        own = server.client()
        while (found := own.blmove("queue:default", f"private:{name}", 0.3, "RIGHT", "LEFT")) is not None:
            own.hincrby("ran", json.loads(found)["jid"], 1)
            own.lrem(f"private:{name}", 1, found)

    threads = [threading.Thread(target=poll) for _ in range(3)] + [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    ran = client.hgetall("ran")
    assert {int(jid[3:]) for jid in ran} == set(range(count // 2)) and set(ran.values()) == {b"1"}
    assert client.zcard("schedule") == count // 2
    # The dead worker's job goes back.
    client.sadd("processes", "dead")
    client.lpush("private:dead", job(999))
    recover = client.register_script(RECOVER)
    assert recover(keys=["private:dead", "queue:default"], args=["dead"]) == 1
    assert recover(keys=["private:dead", "queue:default"], args=["dead"]) == 0
    assert json.loads(client.rpop("queue:default"))["jid"] == "jid999" and not client.sismember("processes", "dead")
    # What scripts did is in the log, as its effects.
    before = client.execute_command("DEBUG", "DIGEST")
    client.execute_command("DEBUG", "LOADAOF")
    assert client.execute_command("DEBUG", "DIGEST") == before


def test_unique_jobs_and_limits(client):
    push = client.register_script(PUSH_UNIQUE)
    assert push(keys=["default"], args=[job(1), 60, 12.5])[0] == b"jid1"
    assert push(keys=["default"], args=[job(1, jid="other"), 60, 13]) == b"DUPLICATE"
    assert push(keys=["default"], args=[job(2), 60, 14])[0] == b"jid2"
    queued = [json.loads(text) for text in client.lrange("queue:default", 0, -1)]
    assert [one["jid"] for one in queued] == ["jid2", "jid1"] and queued[1]["enqueued_at"] == 12.5
    assert queued[0]["args"] == [2, "x"] and client.smembers("queues") == {b"default"}

    allow = client.register_script(WINDOW_LIMIT)
    assert [allow(keys=["limit"], args=[100 + i, 10, 3, f"m{i}"]) for i in range(4)] == [[1, 2], [1, 1], [1, 0], [0, b"7"]]
    assert allow(keys=["limit"], args=[110.5, 10, 3, "m5"]) == [1, 0] and client.ttl("limit") == 10

    client.delete("queue:default")
    client.rpush("queue:default", job(1, retry_count=25), "no json", job(2, retry_count=3), job(3))
    drain = client.register_script(DRAIN)
    assert drain(keys=["queue:default", "dead"], args=[25, 7]) == [1, 1, None, 1]
    assert [json.loads(text)["jid"] for text in client.zrange("dead", 0, -1)] == ["jid1"]
    assert [json.loads(text)["jid"] for text in client.lrange("queue:default", 0, -1)] == ["jid2", "jid3"]
