module towpath/bench/s3stub

go 1.19
