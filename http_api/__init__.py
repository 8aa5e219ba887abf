"""The REST control API: FastAPI on Hypercorn's trio worker, one supervised child of the tree.

``app.create_app`` builds the ASGI application, ``server.Server`` listens; the middlewares in
between are, from the outside in: ``headers`` (security headers), ``metrics``, CORS, ``drain``
(bodies nobody reads), ``errors`` (what was never foreseen), ``limits`` (size, time, number),
``auth`` (who is calling), ``body`` (well-formed JSON). ``routes`` call the runtime through the
``facade``; ``schemas`` describe both directions. Everything a client reads is Portuguese.
"""
