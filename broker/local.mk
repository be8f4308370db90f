# broker
include broker/auth/local.mk
include broker/store/local.mk
include broker/controllers/local.mk
include broker/images/local.mk
include broker/api/local.mk
