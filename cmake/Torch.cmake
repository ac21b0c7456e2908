# TORCH_INCLUDE_DIRS and TORCH_LIBRARIES of the wheel that pip installed. Its own CMake package is not asked: that of
# a CUDA wheel demands a CUDA toolkit with a compiler, and only the libraries inside the wheel are needed here.
set(FOURSTEP_TORCH "" CACHE PATH "Folder of the Python package torch, with include/ and lib/; that of .venv when empty")
set(FOURSTEP_TORCH_FOLDER "${FOURSTEP_TORCH}")
if(NOT FOURSTEP_TORCH_FOLDER)
  file(GLOB torch_folders "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch")
  list(POP_BACK torch_folders FOURSTEP_TORCH_FOLDER)
endif()
if(NOT EXISTS "${FOURSTEP_TORCH_FOLDER}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "No libtorch in \"${FOURSTEP_TORCH_FOLDER}\"; run scripts/setup, or name the folder of the Python package "
    "torch with -DFOURSTEP_TORCH=DIR.")
endif()

set(TORCH_INCLUDE_DIRS "${FOURSTEP_TORCH_FOLDER}/include" "${FOURSTEP_TORCH_FOLDER}/include/torch/csrc/api/include")
set(TORCH_LIBRARIES "")
# CPU and CUDA register their kernels when they are loaded: nothing here refers to them by name, so the linker
# must be told to keep them.
foreach(part IN ITEMS torch torch_cpu c10 torch_cuda c10_cuda)
  if(EXISTS "${FOURSTEP_TORCH_FOLDER}/lib/lib${part}.so")
    add_library(libtorch_${part} SHARED IMPORTED GLOBAL)
    set_target_properties(libtorch_${part} PROPERTIES IMPORTED_LOCATION "${FOURSTEP_TORCH_FOLDER}/lib/lib${part}.so")
    list(APPEND TORCH_LIBRARIES libtorch_${part})
  endif()
endforeach()
list(PREPEND TORCH_LIBRARIES "-Wl,--push-state,--no-as-needed")
list(APPEND TORCH_LIBRARIES "-Wl,--pop-state")

# at::parallel_for is a template in libtorch's headers: it uses threads only in code that is compiled with OpenMP.
# Linked is the runtime inside the wheel, so that our loops and libtorch's share one pool of threads.
set(TORCH_COMPILE_OPTIONS "-fopenmp")
file(GLOB openmp_runtime "${FOURSTEP_TORCH_FOLDER}/lib/libgomp*.so*" "${FOURSTEP_TORCH_FOLDER}/../torch.libs/libgomp*.so*")
if(openmp_runtime)
  list(GET openmp_runtime 0 openmp_runtime)
  list(APPEND TORCH_LIBRARIES "${openmp_runtime}")
else()
  list(APPEND TORCH_LIBRARIES "-fopenmp")
endif()
message(STATUS "libtorch: ${FOURSTEP_TORCH_FOLDER}")
