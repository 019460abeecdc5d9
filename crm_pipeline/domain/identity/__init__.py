"""Identity resolution: from match keys to clusters, links, stable profile ids and reviews."""
