# Warnings are errors for our own targets. Every target links ringway_options.
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

# Optimization is bought where it counts. The cold parts are Asio, Beast and JSON templates whose compile time is nearly all
# code generation: -O1 -g1 takes 40 % less of it than -O2 -g. The request path (ringway_hot) gets -O3 and full debug info
# (docs/adr/0012).
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG")
function(ringway_hot target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O3 -g> $<$<CONFIG:Release>:-O3>)
endfunction()

add_library(ringway_options INTERFACE)
target_include_directories(ringway_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_options(ringway_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-align -Woverloaded-virtual -Werror
  -fno-omit-frame-pointer)
target_compile_definitions(ringway_options INTERFACE RINGWAY_VERSION="${PROJECT_VERSION}")

if(RINGWAY_SANITIZE)
  list(JOIN RINGWAY_SANITIZE "," sanitizers)
  # Not vptr: it opens a pipe to look at an object, and fails in tests that leave the process without descriptors.
  add_compile_options(-fsanitize=${sanitizers} -fno-sanitize=vptr -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${sanitizers})
endif()

# g++ 12 reports false positives out of libstdc++ and Boost at -O2 (GCC bugs 105329, 105651, 107852).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(ringway_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-stringop-overread
    -Wno-array-bounds -Wno-dangling-reference -Wno-mismatched-new-delete>)
endif()

# ringway_library(NAME sources... LINK libs...): a static library of ours.
function(ringway_library name)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ringway_options ${arg_LINK})
endfunction()

# ringway_program(NAME sources... LINK libs...)
function(ringway_program name)
  cmake_parse_arguments(arg "" "" "LINK" ${ARGN})
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ringway_options ${arg_LINK})
endfunction()

# ringway_test(NAME LABEL sources... LINK libs...): a GoogleTest program that ctest runs as one test, under the label of its folder.
function(ringway_test name label)
  cmake_parse_arguments(arg "" "TIMEOUT" "LINK" ${ARGN})
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ringway_options GTest::gmock GTest::gtest_main ${arg_LINK})
  add_test(NAME ${name} COMMAND ${name})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()
