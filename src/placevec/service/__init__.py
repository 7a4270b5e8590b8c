"""The service: vectors, search and tiles over HTTP, and its client. Needs the extra ``serve``; the client needs nothing.

A request passes the `guard` (who may ask, how much, how long), is read by the models of `requests`, and is answered from
one `state`: a model, its tables of vectors and what belongs to them, replaced as a whole when the files change.
"""
