"""The steps that runbooks use, one file each; they do not know each other."""
