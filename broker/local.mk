# broker
include broker/auth/local.mk
