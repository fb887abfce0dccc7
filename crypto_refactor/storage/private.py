"""Files and folders that only their owner can read: they tell what somebody owns, and where."""

import threading
from contextlib import suppress
from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o600, 0o700

_creating = threading.Lock()


def create_folder(path: Path) -> None:
    """Create a folder, and those above it that are missing; existing ones keep their permissions.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    for folder in (*reversed(path.parents), path):
        if folder.is_dir():
            continue
        try:
            folder.mkdir(FOLDER_MODE)
            folder.chmod(FOLDER_MODE)  # the umask may have taken permissions that the owner needs
        except FileExistsError:
            if not folder.is_dir():  # otherwise another process was faster
                raise


def create_file(path: Path) -> None:
    """Create an empty file; an existing one stays as it is.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    # Closing a file that SQLite has opened in another thread would release its locks, so nobody may open what is
    # still being created.
    with _creating, suppress(FileExistsError):
        path.touch(FILE_MODE, exist_ok=False)
        path.chmod(FILE_MODE)
