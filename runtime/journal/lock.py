"""One process per data directory: an exclusive lock that the kernel drops with its holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from ..errors import JournalUnavailable


class DataDirectoryInUse(JournalUnavailable):
    """Another process has the data directory; ``pid`` is its process id when known."""

    code = "data_directory_in_use"

    def __init__(self, path: Path, pid: int | None) -> None:
        super().__init__(
            f"O diretório de dados {path} já está em uso por outro processo"
            f"{'' if pid is None else f' (pid {pid})'}.",
            details={"path": str(path), "pid": pid},
        )
        self.pid = pid


class DataDirectoryLock:
    """Context manager that holds ``<directory>/<name>``; raises DataDirectoryInUse at once.

    The file stays behind, empty of meaning: the lock, not the file, says who is there. It is not
    inherited by child processes, so a bridge that outlives a killed runtime blocks nobody.
    """

    def __init__(self, directory: Path, name: str = "lock") -> None:
        self._directory = directory
        self._name = name
        self._descriptor: int | None = None

    def __enter__(self) -> DataDirectoryLock:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._directory / self._name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held_by = os.read(descriptor, 32).strip()
            os.close(descriptor)
            pid = int(held_by) if held_by.isdigit() else None
            raise DataDirectoryInUse(self._directory, pid) from None
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._write_pid(descriptor)
        return self

    @staticmethod
    def _write_pid(descriptor: int) -> None:
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:  # a full disk: the lock holds all the same, only unnamed
            pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
