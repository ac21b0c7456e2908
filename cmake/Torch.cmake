# TORCH_INCLUDE_DIRS and TORCH_LIBRARIES of the wheel that pip installed. Its own CMake package is not asked: that of
# a CUDA wheel demands a CUDA toolkit with a compiler, and only the libraries inside the wheel are needed here.
set(FOURSTEP_TORCH "" CACHE PATH "Folder of the Python package torch, with include/ and lib/; that of .venv when empty")
set(torch_folder "${FOURSTEP_TORCH}")
if(NOT torch_folder)
  file(GLOB torch_folders "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
  list(POP_BACK torch_folders torch_folder)
endif()
if(NOT EXISTS "${torch_folder}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "No libtorch in \"${torch_folder}\"; run scripts/setup, or name the folder of the Python package "
    "torch with -DFOURSTEP_TORCH=DIR.")
endif()

set(TORCH_INCLUDE_DIRS "${torch_folder}/include" "${torch_folder}/include/torch/csrc/api/include")
set(TORCH_LIBRARIES "")
# CPU and CUDA register their kernels when they are loaded: nothing here refers to them by name, so the linker
# must be told to keep them.
foreach(part IN ITEMS torch torch_cpu c10 torch_cuda c10_cuda)
  if(EXISTS "${torch_folder}/lib/lib${part}.so")
    add_library(libtorch_${part} SHARED IMPORTED GLOBAL)
    set_target_properties(libtorch_${part} PROPERTIES IMPORTED_LOCATION "${torch_folder}/lib/lib${part}.so")
    list(APPEND TORCH_LIBRARIES libtorch_${part})
  endif()
endforeach()
list(PREPEND TORCH_LIBRARIES "-Wl,--no-as-needed")
list(APPEND TORCH_LIBRARIES "-Wl,--as-needed")
message(STATUS "libtorch: ${torch_folder}")
