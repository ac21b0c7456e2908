# Where the libraries come from. libtorch is the one inside the PyPI wheel (Torch.cmake); all others are Debian
# packages. fmt comes with libtorch's headers (a second version beside it would not link): used header-only.
include(Torch)
find_package(Threads REQUIRED)

# Header-only libraries: an installed package, or else plain headers in one folder of FOURSTEP_HEADERS.
set(FOURSTEP_HEADERS "" CACHE PATH "Folder with nlohmann/json.hpp and CLI/CLI.hpp where they are not installed")
function(fourstep_header_library package target header)
  find_package(${package} QUIET)
  if(NOT TARGET ${target})
    find_path(${package}_FOLDER "${header}" HINTS "${FOURSTEP_HEADERS}")
    if(NOT ${package}_FOLDER)
      message(FATAL_ERROR "${header} was not found; install ${package} or name its folder with -DFOURSTEP_HEADERS=DIR.")
    endif()
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    target_include_directories(${target} SYSTEM INTERFACE "${${package}_FOLDER}")
  endif()
endfunction()
fourstep_header_library(nlohmann_json nlohmann_json::nlohmann_json nlohmann/json.hpp)
fourstep_header_library(CLI11 CLI11::CLI11 CLI/CLI.hpp)

if(NOT FOURSTEP_MINIMAL)
  find_package(OpenSSL REQUIRED COMPONENTS Crypto)  # SHA-256
  find_package(ICU REQUIRED COMPONENTS uc i18n)     # Unicode classes and NFC in the tokenizer
  find_package(PNG REQUIRED)
  find_package(JPEG REQUIRED)
  find_package(PkgConfig REQUIRED)
  find_package(Freetype REQUIRED)                   # drawn emoji, and text on contact sheets
  find_package(pugixml REQUIRED)                    # the names of emoji
  pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpmux)
endif()
