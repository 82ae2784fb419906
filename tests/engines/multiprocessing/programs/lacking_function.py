import multiprocessing as mp

if __name__ == "__main__":
    with mp.get_context("fork").Pool(2) as pool:
        exec("def later(x): return x", globals())
        pool.apply(later, (1,))  # noqa: F821
