"""A runtime that consists of the local stack alone: ``python host.py DIRECTORY PORT [LIVENESS]``.

Prints one JSON line when all is ready, and ends with its standard input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import trio

from runtime.local_stack import LocalStack, vigil
from supervisors import open_supervisor

REPOSITORY = Path(__file__).parents[2]
NODE_MODULES = REPOSITORY / "node_modules"
MIGRATIONS = REPOSITORY / "supabase" / "migrations"


async def main(directory: str, port: str, liveness: float = vigil.LIVENESS) -> None:
    vigil.LIVENESS = float(liveness)
    stack = LocalStack(Path(directory), NODE_MODULES, MIGRATIONS, int(port))
    async with open_supervisor(stack.supervisor(), name="stack"):
        owner = await stack.create_owner("dona@example.test")
        print(json.dumps({"owner": str(owner)}), flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
