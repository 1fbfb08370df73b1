"""What a site's archive consists of: folders, file keys, the manifest, what is known."""
