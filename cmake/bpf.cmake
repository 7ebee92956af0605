# Kernel programs: bpf/NAME.bpf.c -> NAME.bpf.o (clang, CO-RE) -> NAME.skel.h (bpftool), which only dataplane/kernel and
# tests/bpf include. One C++ compiler builds the rest; these two tools are needed besides, and asked for at configure time.
option(RINGWAY_BPF "Build the kernel programs (needs clang and bpftool)" ON)

if(RINGWAY_BPF)
  find_program(RINGWAY_BPF_CLANG NAMES clang-19 clang-20 clang-18 clang-17 clang-16)
  # Debian keeps it in sbin; Ubuntu beside each kernel's tools, its own bpftool being a script that wants the running kernel's.
  file(GLOB bpftool_folders /usr/lib/linux-tools/*)
  list(SORT bpftool_folders COMPARE NATURAL ORDER DESCENDING)
  find_program(RINGWAY_BPFTOOL NAMES bpftool HINTS ${bpftool_folders} PATHS /usr/sbin /usr/local/sbin)
  foreach(tool RINGWAY_BPF_CLANG RINGWAY_BPFTOOL)
    if(NOT ${tool})
      message(FATAL_ERROR "the kernel programs need clang (16 or newer) and bpftool, and ${tool} was not found: "
        "scripts/install-deps installs both; -DRINGWAY_BPF=OFF builds without packet and connect delivery")
    endif()
  endforeach()
endif()

set(RINGWAY_BPF_FOLDER ${PROJECT_BINARY_DIR}/bpf)
set(RINGWAY_BPF_FLAGS -target bpf -mcpu=v3 -O2 -g -std=gnu17 -Wall -Wextra -Werror -I${PROJECT_SOURCE_DIR}
  -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND RINGWAY_BPF_FLAGS -D__TARGET_ARCH_x86)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  list(APPEND RINGWAY_BPF_FLAGS -D__TARGET_ARCH_arm64)
endif()

# What includes skeletons links this. Skeletons are generated C: a system folder, so that our warnings leave them alone.
add_library(ringway_bpf INTERFACE)
target_include_directories(ringway_bpf SYSTEM INTERFACE ${RINGWAY_BPF_FOLDER})
if(RINGWAY_BPF)
  target_link_libraries(ringway_bpf INTERFACE PkgConfig::libbpf)
endif()

# ringway_bpf_program(NAME): NAME.bpf.c of this folder.
function(ringway_bpf_program name)
  if(NOT RINGWAY_BPF)
    return()
  endif()
  file(MAKE_DIRECTORY ${RINGWAY_BPF_FOLDER})
  set(object ${RINGWAY_BPF_FOLDER}/${name}.bpf.o)
  set(skeleton ${RINGWAY_BPF_FOLDER}/${name}.skel.h)
  add_custom_command(OUTPUT ${object}
    COMMAND ${RINGWAY_BPF_CLANG} ${RINGWAY_BPF_FLAGS} -MD -MF ${object}.d -MT ${object} -c ${CMAKE_CURRENT_SOURCE_DIR}/${name}.bpf.c -o ${object}.full
    # The linker of bpftool drops DWARF, which nobody needs at run time, and keeps BTF.
    COMMAND ${RINGWAY_BPFTOOL} gen object ${object} ${object}.full
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}.bpf.c DEPFILE ${object}.d COMMENT "BPF ${name}" VERBATIM)
  add_custom_command(OUTPUT ${skeleton}
    COMMAND ${RINGWAY_BPFTOOL} gen skeleton ${object} name ${name}_bpf > ${skeleton}.new
    COMMAND ${CMAKE_COMMAND} -E rename ${skeleton}.new ${skeleton}
    DEPENDS ${object} COMMENT "BPF skeleton ${name}" VERBATIM)
  add_custom_target(ringway_bpf_${name} DEPENDS ${skeleton})
  add_dependencies(ringway_bpf ringway_bpf_${name})
endfunction()
