# hostd
