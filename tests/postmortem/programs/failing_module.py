import multiprocessing as mp
import sys
from concurrent.futures import ProcessPoolExecutor

from loky import get_reusable_executor

if __name__ == "__main__":
    context = mp.get_context("fork")
    if sys.argv[1] == "pool":
        with context.Pool(1) as pool:  # its worker has begun: it imports the module as it unpickles the task
            import model

            pool.apply(model.predict, (1,))
    with get_reusable_executor(1) if sys.argv[1] == "loky" else ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(abs, -1).result()
        import model

        pool.submit(model.predict, 1).result()
