"""``python -m http_api.cli``: the same as ``zapvisor``."""

from . import main

main()
