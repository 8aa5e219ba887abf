"""How fast zapvisor is, each figure beside its limit or its predecessor in the same run.

``python -m benchmarks`` runs everything (minutes); names run single ones; ``--write`` puts tables
and plot into ``docs/performance.md``. Layout:

figures.py     what a benchmark returns: rows of a table, goals, what the plot shows
stage.py       simulator, Supabase and product as processes of their own, and who used how much CPU
storage.py     rows per second into the tables: the earlier design, a full queue, PostgreSQL's limit
pipeline.py    the whole way of a message beside a bare Baileys client (bare.ts)
outgoing.py    the way out, in turn and sixteen at once
load.py        what the API answers while messages flow
memory.py      what a connection costs
recovery.py    kill -9 of each process, fifty connections
start.py       from nothing to ready
reconnect.py   two hundred reconnections of each connection
journal.py     durable commits beside bare SQLite
supervisors.py supervision beside bare trio
report.py      tables and plot
"""
