"""Runs every script that writes fixtures, in order; `regenerate.py <name…>` only the named ones."""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
FIRST = ["models.py"]  # the others read its folders
NOT_FIXTURES = {"common.py", "runner.py", "clips.py", "lora.py", "compare.py", "make_fresh_model.py", "convert.py",
                "full_size.py", "regenerate.py", "windows.py"}

if __name__ == "__main__":
    others = sorted(p.name for p in HERE.glob("*.py") if p.name not in NOT_FIXTURES | set(FIRST))
    for script in sys.argv[1:] or FIRST + others:
        print(f"== {script}", flush=True)
        subprocess.run([sys.executable, HERE / script], check=True)
