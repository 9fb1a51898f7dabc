"""What is on a hub, kept so that lists and filters need not read every checkpoint.

It is derived from the hub, lies beside the other caches and can be removed at any time. Each question is
answered as the hub is now: see :class:`zoo.hub.index.index.Index` for how that is known.
"""
