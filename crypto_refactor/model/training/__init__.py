"""Networks and fits: in this process, in worker processes, on a Dask cluster."""
