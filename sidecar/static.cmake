# The program itself. Fully static (static-pie) where the archives exist and no sanitizer is asked for; Debian's absl and Boost
# CMake targets name shared objects, so the archives are found by hand. Name lookup in a static glibc program
# warns at link time; /etc/hosts and DNS are inside libc.a since glibc 2.34, and nothing else is needed.
add_library(ringway_sidecar_main OBJECT main.cc)
target_link_libraries(ringway_sidecar_main PRIVATE ringway_sidecar_core)
foreach(part ringway_sidecar_core ringway_sidecar_main)
  target_compile_options(${part} PRIVATE -ffunction-sections -fdata-sections $<$<NOT:$<CONFIG:Debug>>:-Os>)
endforeach()

option(RINGWAY_SIDECAR_STATIC "Link ringway-sidecar fully static" ON)
find_library(RINGWAY_BOOST_JSON_ARCHIVE libboost_json.a)
find_library(RINGWAY_LIBC_ARCHIVE libc.a)
pkg_check_modules(RINGWAY_ABSL QUIET absl_status absl_statusor absl_strings absl_str_format)
find_library(RINGWAY_ABSL_ARCHIVE libabsl_status.a)

add_executable(ringway-sidecar $<TARGET_OBJECTS:ringway_sidecar_main>)
if(RINGWAY_SIDECAR_STATIC AND NOT RINGWAY_SANITIZE AND RINGWAY_BOOST_JSON_ARCHIVE AND RINGWAY_LIBC_ARCHIVE
   AND RINGWAY_ABSL_ARCHIVE AND RINGWAY_ABSL_FOUND)
  set(archives ringway_sidecar_core ringway_http ringway_log)
  add_dependencies(ringway-sidecar ${archives})
  foreach(archive ${archives})
    target_link_libraries(ringway-sidecar PRIVATE $<TARGET_FILE:${archive}>)
    set_property(TARGET ringway-sidecar APPEND PROPERTY LINK_DEPENDS $<TARGET_FILE:${archive}>)
  endforeach()
  target_link_libraries(ringway-sidecar PRIVATE ${RINGWAY_BOOST_JSON_ARCHIVE}
    -Wl,--start-group ${RINGWAY_ABSL_STATIC_LIBRARIES} -Wl,--end-group)
  set_target_properties(ringway-sidecar PROPERTIES LINKER_LANGUAGE CXX)
  target_link_options(ringway-sidecar PRIVATE -static-pie)
else()
  message(STATUS "ringway-sidecar: not linked static (sanitizer, or an archive of libc, Boost.JSON or Abseil is missing)")
  target_link_libraries(ringway-sidecar PRIVATE ringway_sidecar_core)
endif()
target_link_options(ringway-sidecar PRIVATE -Wl,--gc-sections $<$<NOT:$<CONFIG:Debug>>:-s>)
