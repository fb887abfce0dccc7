"""Windows, networks, training, evidence, artifacts, serving, and which model decides a bar."""
