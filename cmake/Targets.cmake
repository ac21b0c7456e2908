# One static library per folder of src/ and one test program per folder of tests/.
find_program(CCACHE ccache)
if(CCACHE)
  # pch_defines and time_macros let ccache cache units that use the precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND}" -E env "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime" "${CCACHE}")
endif()

# Half of a small file's compile time goes into loading the precompiled torch headers: several files share one
# compiler run. So names in anonymous namespaces are unique within their folder.
if(NOT DEFINED CMAKE_UNITY_BUILD)
  set(CMAKE_UNITY_BUILD ON)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)
endif()

add_library(fourstep_options INTERFACE)
target_include_directories(fourstep_options INTERFACE "${CMAKE_SOURCE_DIR}/src")
target_compile_options(fourstep_options INTERFACE -Wall -Wextra -Wno-unused-parameter
  ${TORCH_COMPILE_OPTIONS} $<$<BOOL:${CCACHE}>:-fpch-preprocess>)
# torch's headers are not ours to fix: SYSTEM keeps their warnings out.
target_include_directories(fourstep_options SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(fourstep_options INTERFACE ${TORCH_LIBRARIES} Threads::Threads)
# As the wheel was built: headers of c10d depend on it.
target_compile_definitions(fourstep_options INTERFACE FMT_HEADER_ONLY USE_DISTRIBUTED USE_C10D_GLOO USE_RPC USE_TENSORPIPE)
if(FOURSTEP_MINIMAL)
  target_compile_definitions(fourstep_options INTERFACE FOURSTEP_MINIMAL)
endif()
if(FOURSTEP_SANITIZE)
  target_compile_options(fourstep_options INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer)
  target_link_options(fourstep_options INTERFACE -fsanitize=address,undefined)
endif()

# fourstep_library(folder [DEPENDS folder...] [LINKS target...] [EXCLUDE file...] [PCH_OWNER]):
# all .cpp files of the calling folder but those excluded.
function(fourstep_library folder)
  cmake_parse_arguments(ARG "PCH_OWNER" "" "DEPENDS;LINKS;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  list(TRANSFORM ARG_EXCLUDE PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
  list(REMOVE_ITEM sources ${ARG_EXCLUDE})
  if(NOT sources)
    add_library(fourstep_${folder} INTERFACE)
    return()
  endif()
  add_library(fourstep_${folder} STATIC ${sources})
  list(TRANSFORM ARG_DEPENDS PREPEND fourstep_)
  target_link_libraries(fourstep_${folder} PUBLIC fourstep_options ${ARG_DEPENDS} PRIVATE ${ARG_LINKS})
  fourstep_use_pch(fourstep_${folder} ${ARG_PCH_OWNER})
endfunction()

# The torch headers are compiled once, in fourstep_base, and shared by every other target.
function(fourstep_use_pch target)
  if(ARGN)
    target_precompile_headers(${target} PRIVATE "${CMAKE_SOURCE_DIR}/src/base/pch.h")
  else()
    target_precompile_headers(${target} REUSE_FROM fourstep_base)
  endif()
endfunction()
