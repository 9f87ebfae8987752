"""Images of one network spread over processes of this machine or a Dask cluster, and kept in a store."""
