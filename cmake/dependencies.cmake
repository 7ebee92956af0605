# Third-party libraries as targets, one name each, headers as system headers.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
# Static Boost: the sidecar links fully static, and programs run on hosts without Boost installed.
set(Boost_USE_STATIC_LIBS ON)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(absl REQUIRED)
find_package(spdlog REQUIRED)
find_package(OpenSSL QUIET)

# Beast and Asio are used header-only in every program; -fno-sized things stay off. Coroutines need no flag in C++20.
add_library(ringway_asio INTERFACE)
target_link_libraries(ringway_asio INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(ringway_asio INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_NO_TS_EXECUTORS)

if(NOT RINGWAY_SIDECAR_ONLY)
  find_package(SQLite3 REQUIRED)
  find_package(CLI11 REQUIRED)
  pkg_check_modules(liburing REQUIRED IMPORTED_TARGET liburing>=2.9)
  pkg_check_modules(libbpf REQUIRED IMPORTED_TARGET libbpf>=1.4)
  if(RINGWAY_TESTS)
    find_package(GTest REQUIRED)
  endif()
  if(RINGWAY_BENCH)
    find_package(benchmark REQUIRED)
  endif()
else()
  find_package(CLI11 REQUIRED)
endif()
