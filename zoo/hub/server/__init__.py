"""A lab's own hub: a Hub-compatible server over a folder, for ``huggingface_hub`` and the zoo.

The folder is a local hub at the same time: :class:`zoo.hub.cache.CacheHub` reads and writes it beside the
server. Starlette and uvicorn are needed for :mod:`app` and what it stands on; tokens can be made without.
"""
