"""Programs as people write them, with the most used libraries from npm: a job queue (BullMQ), a chat (node-redis), a rate
limiter (ioredis) and a cache of sessions (both), and writers through a failover (ioredis). They stand in tests/programs, and say themselves what they expect.

Their libraries are those of the lock file, and are installed into build/programs when they are not there yet. Without
node, or without a registry to install from, the tests are skipped, and say so.
"""

import hashlib
import pathlib
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
SOURCE = TOP / "tests" / "programs"
FOLDER = TOP / "build" / "programs"
WHAT = ("package.json", "package-lock.json", ".npmrc")
NODE_AT_LEAST = 18
OF_A_PAIR = "failover.mjs"
PROGRAMS = sorted(path.name for path in SOURCE.glob("*.mjs") if path.name not in ("common.mjs", OF_A_PAIR))


def node_version():
    text = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=30).stdout
    return int(text.strip().removeprefix("v").split(".")[0])


def wanted():
    return hashlib.sha256(b"".join((SOURCE / name).read_bytes() for name in WHAT)).hexdigest()


def install():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in WHAT:
        shutil.copy(SOURCE / name, FOLDER)
    # what is optional is made for other machines, or speeds up what is not measured here
    command = ["npm", "install", "--no-save", "--ignore-scripts", "--omit=optional"]
    try:
        done = subprocess.run(command, cwd=FOLDER, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not get the libraries within four minutes")
    if done.returncode != 0:
        pytest.skip("npm cannot get the libraries: " + " | ".join(done.stderr.strip().splitlines()[-5:]))
    (FOLDER / "installed").write_text(wanted())


@pytest.fixture(scope="module")
def programs():
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}")
    if node_version() < NODE_AT_LEAST:
        pytest.skip(f"node is older than {NODE_AT_LEAST}")
    mark = FOLDER / "installed"
    if not mark.exists() or mark.read_text() != wanted():
        install()
    for path in SOURCE.glob("*.mjs"):
        shutil.copy(path, FOLDER)
    return FOLDER


def run(folder, program, *servers):
    done = subprocess.run(["node", program, *(str(server.port) for server in servers)], cwd=folder, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(server.is_running() for server in servers)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("program", PROGRAMS)
def test_program(programs, server, program):
    run(programs, program, server)


@pytest.mark.timeout(400)
def test_program_of_a_pair(programs, start):
    run(programs, OF_A_PAIR, start(), start())
