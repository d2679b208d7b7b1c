"""The JSON API: one file a noun; each declares a `router` and is found by walking this folder."""
