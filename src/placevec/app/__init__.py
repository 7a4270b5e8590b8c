"""The live app: projector, similarity search, sets, gallery, place explorer, labels and statistics in a browser.

`placevec.app.server.run` starts it (``placevec explore EMB --app``). ``main.py`` is the script that Streamlit runs for
each browser; every screen is one file in ``screens``. What a screen computes is a plain function of the other files.
"""
