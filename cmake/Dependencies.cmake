# Where the libraries come from. libtorch is the one inside the PyPI wheel of the project's own .venv
# unless CMAKE_PREFIX_PATH or Torch_DIR names another; all others are Debian
# packages. fmt comes with libtorch's headers (a second version beside it would not link): used header-only.
if(NOT Torch_DIR AND NOT CMAKE_PREFIX_PATH)
  file(GLOB wheel_torch "${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch/share/cmake/Torch")
  if(wheel_torch)
    list(GET wheel_torch 0 Torch_DIR)
  endif()
endif()
find_package(Torch REQUIRED)
find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)

if(NOT FOURSTEP_MINIMAL)
  find_package(OpenSSL REQUIRED COMPONENTS Crypto)  # SHA-256
  find_package(ICU REQUIRED COMPONENTS uc i18n)     # Unicode classes and NFC in the tokenizer
  find_package(PNG REQUIRED)
  find_package(JPEG REQUIRED)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpmux)
endif()
