"""Fixtures: servers under test, their clients, and their logs where a test fails.

REDSTART names the program under test (default build/redstart, run as `redstart server`), REDIS_SERVER the
peer (default redis-server). With REDSTART=redis-server the tests run against the peer itself, which is how
each of them was checked; what only newer versions or only Redstart promise is marked and skipped then.
"""

import shutil

import pytest

pytest.register_assert_rewrite("harness", "transcript")

import harness  # noqa: E402 (after it is known that its assertions explain themselves)

TEST_OPTIONS = {"save": "", "enable-debug-command": "yes"}


def version_tuple(text):
    return tuple(int(part) for part in text.split(".")[:2])


class Pool:
    """Servers of the session, by their options; the shared one is cleaned between tests."""

    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        self.shared = None

    def make(self, command, options, **more):
        self.count += 1
        return harness.Server(command, self.folder / f"server-{self.count}", options, **more)

    def take_shared(self):
        if self.shared is None or not self.shared.is_running():
            self.shared = self.make(harness.ours_command(), TEST_OPTIONS).start()
            with self.shared.connect() as connection:
                pairs = connection.call("CONFIG", "GET", "*")
            self.configuration = dict(zip(pairs[::2], pairs[1::2]))
        return self.shared

    def clean_shared(self):
        server = self.shared
        for connection in server.connections:
            connection.close()
        server.connections.clear()
        if not server.is_running():
            return
        try:
            with harness.Connection(server.address, timeout=5) as connection:
                connection.call_ok("FLUSHALL", "SYNC")
                connection.call("CLIENT", "UNPAUSE")
                connection.call("DEBUG", "SET-ACTIVE-EXPIRE", "1")
                pairs = connection.call("CONFIG", "GET", "*")
                for name, value in zip(pairs[::2], pairs[1::2]):
                    if self.configuration.get(name) != value:
                        connection.call_ok("CONFIG", "SET", name, self.configuration[name])
                connection.call("CONFIG", "RESETSTAT")
                connection.call("CLIENT", "KILL", "TYPE", "pubsub")
                connection.call("CLIENT", "KILL", "TYPE", "normal")
        except (OSError, harness.Closed, AssertionError):
            server.stop()  # the next test gets a new one


def pytest_configure(config):
    config.servers_of_test = []


def pytest_collection_modifyitems(config, items):
    needing = [item for item in items if item.get_closest_marker("since") or item.get_closest_marker("ours")]
    if not needing:
        return
    command = harness.ours_command()
    version = ours_version(command)
    for item in needing:
        since = item.get_closest_marker("since")
        if since and version_tuple(version) < version_tuple(since.args[0]):
            item.add_marker(pytest.mark.skip(reason=f"from {since.args[0]} on; the server is {version}"))
        ours = item.get_closest_marker("ours")
        if ours and harness.is_stand_in(command):
            item.add_marker(pytest.mark.skip(reason=f"Redstart's own: {ours.args[0]}"))


def ours_version(command):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        server = harness.Server(command, folder, TEST_OPTIONS)
        try:
            return server.start().info("server")["redis_version"]
        except (OSError, AssertionError, harness.Closed, KeyError):
            return "7.4.0"  # the tests themselves will say what is wrong
        finally:
            server.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for server in item.config.servers_of_test:
            text = server.log()
            state = "running" if server.is_running() else f"ended with {server.process and server.process.returncode}"
            report.sections.append((f"log of the server on port {server.port} ({state})", text[-8000:]))


def pytest_runtest_setup(item):
    item.config.servers_of_test.clear()


@pytest.fixture(scope="session")
def pool(tmp_path_factory):
    pool = Pool(tmp_path_factory.mktemp("servers"))
    yield pool
    if pool.shared:
        pool.shared.stop()


@pytest.fixture
def server(pool, request):
    """The shared server, empty, with the tests' options, its configuration restored afterwards."""
    server = pool.take_shared()
    request.config.servers_of_test.append(server)
    yield server
    alive = server.is_running()
    pool.clean_shared()
    assert alive, "the server died in this test"


@pytest.fixture
def start(pool, request):
    """start(option=value, ...) runs a server of the test's own; start.spawn(...) does not wait for it."""
    servers = []

    def start(*, defaults=True, command=None, wait=True, arguments=None, stdin=None, environment=None, **options):
        given = {name.replace("_", "-"): value for name, value in options.items()}
        merged = {**(TEST_OPTIONS if defaults else {}), **given}
        merged = {name: value for name, value in merged.items() if value is not None}
        made = pool.make(
            command or harness.ours_command(), merged, arguments=arguments, stdin=stdin, environment=environment
        )
        servers.append(made)
        request.config.servers_of_test.append(made)
        return made.start() if wait else made.spawn()

    yield start
    for made in servers:
        made.stop()


@pytest.fixture
def peer(start):
    """Debian's redis-server beside ours."""
    command = harness.peer_command()
    if not shutil.which(command[0]):
        pytest.skip("no redis-server installed to compare with")
    return start(command=command)


@pytest.fixture
def connection(server):
    return server.connect()


@pytest.fixture
def connection3(server):
    return server.connect(3)


@pytest.fixture
def client(server):
    client = server.client()
    yield client
    client.close()


@pytest.fixture
def config(server):
    """config(name, value) on the shared server; its configuration comes back after each test."""

    def config(*pairs):
        with harness.Connection(server.address) as connection:
            connection.call_ok("CONFIG", "SET", *pairs)

    return config


@pytest.fixture(scope="session")
def session_peer(pool):
    """A peer for questions that change nothing."""
    command = harness.peer_command()
    if not shutil.which(command[0]):
        pytest.skip("no redis-server installed to compare with")
    server = pool.make(command, TEST_OPTIONS).start()
    yield server
    server.stop()
