"""A spalloc server on loopback that hands out emulated boards, as SpiNNMan 7.4.1's client asks for them.

``python -m spikingconvnet.emulator --spalloc --boards 4`` serves until it is interrupted. Each job has a SpiNN-5 of its
own, in a process of its own; who comes when all boards are taken waits in a queue; a job whose client falls silent
ends, and its board with it.

`jobs` are the jobs and their queue, `proxy` the channels to a board over a websocket, `monitors` what the server itself
asks of a board, `pages` and `job_pages` what clients ask for, `certificate` what the server shows them, `server` all of
it over HTTPS. The last four need tornado.

Not modelled: jobs of several boards or of certain ones, users and their quotas, power, the administrators' pages.
"""
