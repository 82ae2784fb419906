"""The folder of status files: the user's own, checked before anything in it is touched, and gone with the last of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile

import pytest

from tests import programs

POOL = """
    import sys
    from concurrent.futures import ProcessPoolExecutor

    if __name__ == "__main__":
        with ProcessPoolExecutor(2) as pool:
            print(list(pool.map(abs, [1, -2])))
"""
_ENDED = """
    import multiprocessing
    import os
    import signal

    def work():
        from autotb.postmortem import status_folder as folder

        os.mkdir(folder.path(), 0o700)
        if FILE:
            open(os.path.join(folder.path(), folder.name(os.getpid())), "w").close()
        os.kill(os.getpid(), signal.SIGKILL)

    if __name__ == "__main__":
        process = multiprocessing.Process(target=work)
        process.start()
        process.join()
"""
LEAVING = {
    "terminated": """
        from multiprocessing import Pool

        if __name__ == "__main__":
            with Pool(2) as pool:
                print(pool.map(abs, [1, -2]))
    """,
    "left to the end": """
        from multiprocessing import Pool

        if __name__ == "__main__":
            pool = Pool(2)
            print(pool.map(abs, [1, -2]))
    """,
    "left to the end, of a fork server": """
        import multiprocessing

        if __name__ == "__main__":
            pool = multiprocessing.get_context("forkserver").Pool(2)
            print(pool.map(abs, [1, -2]))
    """,
    "ended while they made the folder": _ENDED.replace("FILE", "False"),
    "ended while they made their file": _ENDED.replace("FILE", "True"),
    "daemons": """
        import multiprocessing
        import time
        from concurrent.futures.process import _process_worker

        def work(ready):
            from autotb.postmortem import status_file

            status_file.begin()
            ready.set()
            time.sleep(60)

        if __name__ == "__main__":
            ready = multiprocessing.Event()
            multiprocessing.Process(target=work, args=(ready,), daemon=True).start()
            ready.wait()
    """,
}
OLD = 1_000_000_000


@pytest.mark.parametrize("way", list(LEAVING))
def test_nothing_stays_when_a_program_has_ended(run, way):
    with tempfile.TemporaryDirectory(prefix="autotb-test-") as temporary:  # a fork server's socket needs a short path
        ran = run(LEAVING[way], TMPDIR=temporary, XDG_RUNTIME_DIR="")

        assert ran.status == 0, ran.stderr
        assert os.listdir(temporary) == []


def test_what_a_killed_program_leaves_goes_with_the_next_program(tmp_path, run):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "def work(number):\n"
        "    print(number, flush=True)\n"
        "    time.sleep(60)\n"
        'if __name__ == "__main__":\n'
        "    pool = ProcessPoolExecutor(2)\n"
        "    tasks = [pool.submit(work, number) for number in range(2)]\n"
        "    tasks[0].result()\n"
    )
    killed = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=programs.environment(TMPDIR=str(temporary), XDG_RUNTIME_DIR=""),
        start_new_session=True,
    )
    assert killed.stdout is not None
    for _ in range(2):
        killed.stdout.readline()
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(60)
    killed.stdout.close()
    (folder,) = temporary.iterdir()
    assert len(list(folder.iterdir())) == 2

    run(POOL, TMPDIR=str(temporary), XDG_RUNTIME_DIR="")

    assert list(temporary.iterdir()) == []


def files_of_a_user(folder):
    """Old ones, some of which are named as ours are, or were."""
    from autotb.postmortem import status_folder

    namespace = status_folder._namespace()
    outside = folder / "outside"
    outside.write_text("kept")
    names = ["2024-report.csv", "20240101", "2024", f"999999-{namespace}", "autotb-worker-x-0.status", "autotb-worker-0.status"]
    for name in names:
        (folder / name).write_text("kept")
    (folder / f"autotb-worker-999998-{namespace}.status").symlink_to(outside)
    (folder / f"autotb-worker-999997-{namespace}.status").mkdir()
    for path in folder.iterdir():
        os.utime(path, (OLD, OLD), follow_symlinks=False)
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("how", ["link", "mode", "own"])
@pytest.mark.parametrize("namespace", ["known", "unknown"])
def test_no_file_of_the_users_is_touched(tmp_path, run, how, namespace):
    temporary, target = tmp_path / "temporary", tmp_path / "target"
    temporary.mkdir()
    target.mkdir(mode=0o700)
    mine = temporary / f"autotb-{os.getuid()}"
    if how == "link":
        mine.symlink_to(target)
    else:
        target = mine
        mine.mkdir(mode=0o700)
    before = files_of_a_user(target)
    if how == "mode":
        mine.chmod(0o755)
    unknown = "import os\nstat = os.stat\n\ndef no_stat(path, *args, **kwargs):\n    if str(path).startswith('/proc/self/ns'):\n"
    unknown += "        raise PermissionError(path)\n    return stat(path, *args, **kwargs)\n\nos.stat = no_stat\n"
    import textwrap

    ran = run((unknown if namespace == "unknown" else "") + textwrap.dedent(POOL), TMPDIR=str(temporary), XDG_RUNTIME_DIR="")

    assert ran.stdout == "[1, 2]\n", ran.stderr
    assert sorted(path.name for path in target.iterdir()) == before
    assert (target / "outside").read_text() == "kept"


def test_doctor_tells_of_a_folder_in_which_nothing_can_be_left(tmp_path):
    folder = tmp_path / f"autotb-{os.getuid()}"
    environment = programs.environment(TMPDIR=str(tmp_path), XDG_RUNTIME_DIR="")
    code = "from autotb.postmortem import status_folder; print(status_folder.trouble())"

    def trouble():
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment).stdout

    assert trouble() == "\n"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    assert trouble() == f"{folder} is not this user's own folder, which nobody else may enter (mode 700)\n"
    folder.rmdir()
    folder.symlink_to("/")
    assert str(folder) in trouble()
    folder.unlink()
    folder.mkdir(mode=0o700)
    assert trouble() == "\n"
