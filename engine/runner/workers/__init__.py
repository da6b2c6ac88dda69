"""The workers of a run: threads of this process, or other processes.

In reading order:

`messages`: the jobs, and the messages that workers send about them.
`worker`: the `Worker` that does one job.
`tile_execution`: the execution of one tile.
`delivery`: the render, storage and copy of one output.
`copy_out`: the copies of an output and its thumbnail, whole or not at all.
`leaf_files`: the files and drawings behind the leaves of an expression.
`render_groups`: renders that share a decoder.
`thread_pool`: the threads that all runs of a process share.
`thread_workers`: the jobs of one run in that pool.
`remote_workers`: jobs in other processes.
`dask_cluster`: a Dask cluster as remote workers.
"""
