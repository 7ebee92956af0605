# The embedded catalog's unit tests, included by CMakeLists.txt beside this file.
ringway_test(controlplane_catalog_test unit catalog_agent_test.cc catalog_lease_test.cc catalog_model_test.cc catalog_source_test.cc catalog_store_test.cc
  LINK ringway_cp_catalog)
