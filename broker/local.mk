# broker
include broker/auth/local.mk
include broker/api/local.mk
