"""The router in front of Synapse: HAProxy, two replicas, one table of endpoints (`endpoints.py`).

How it works, from the request's side:

1. A listener (`frontends.py`) decides what the request may reach: the public one has no administration, the
   federation one has federation alone, the internal one has everything. What a listener does not know is 404.
2. One look-up of method and path in the listener's map says the pool. Where a parameter (a room, a user) stands in the
   middle of a path, the map says which segment it is, and a second look-up is without it (`maps.py`). Both look-ups
   are in a prefix tree: exact to the segment, and as fast with a thousand entries as with ten.
3. The pool (`pools.py`, `backends.py`) chooses a worker: by user, room, origin or media id on a consistent ring, or
   the less busy of two. Every slot of a pool has a fixed number, so that all replicas have the same ring, and
   scaling inside the bucket of slots changes no file.
4. A pool without a living worker falls back to main where main can serve the request, and says 503 in JSON where not.
"""
