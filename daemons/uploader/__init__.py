"""The uploader: everything below `output/s3/<bucket>/<key>` reaches S3 and then leaves the disk.

It promises that a local file is removed only after S3 acknowledged exactly its bytes while the path
still named that file. It never follows links, never overwrites other content silently, never
removes a folder unless told to, and never touches what lies outside its root.
"""
