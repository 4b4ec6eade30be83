def run(r): return 0
