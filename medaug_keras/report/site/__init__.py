"""Pages on disk, and the site that MkDocs makes of them."""
