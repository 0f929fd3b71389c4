# SPDX-License-Identifier: Apache-2.0
"""Conan 2 recipe of this tree: conan create packaging/conan --build=missing"""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rm, rmdir

required_conan_version = ">=2.0"


class TesseraConan(ConanFile):
    name = "tessera"
    description = "Transformer encoders on CPUs: texts and images to embeddings, labels and scores"
    license = "Apache-2.0"
    topics = ("embeddings", "transformers", "inference")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "tool": [True, False], "openmp": [True, False]}
    default_options = {"shared": False, "tool": False, "openmp": False}

    def _root(self):
        return os.path.join(self.recipe_folder, os.pardir, os.pardir)

    def set_version(self):
        text = load(self, os.path.join(self._root(), "CMakeLists.txt"))
        self.version = re.search(r"project\(tessera VERSION ([0-9.]+)", text).group(1)

    def export_sources(self):
        for pattern in (
            "CMakeLists.txt", "LICENSE", "README.md", "kernels/*", "runtime/*", "models/*.cpp",
            "models/*.hpp", "models/CMakeLists.txt", "tessera/*", "third_party/*",
        ):
            copy(self, pattern, self._root(), self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        # In archives and headers, of which nothing is seen outside (docs/DESIGN.md D-81).
        for reference in (
            "fmt/9.1.0", "xsimd/8.1.0", "rapidjson/cci.20230929", "utf8proc/2.8.0", "pcre2/10.42",
            "libjpeg-turbo/2.1.5", "libpng/1.6.40", "libwebp/1.3.2", "giflib/5.2.1", "libtiff/4.6.0",
            "libdeflate/1.19", "xz_utils/5.4.5", "zstd/1.5.5", "zlib/[>=1.2.11 <2]",
        ):
            self.requires(reference, visible=False)
        if self.options.tool:
            self.requires("cli11/2.3.2", visible=False)

    def configure(self):
        for name in (
            "fmt", "utf8proc", "pcre2", "libjpeg-turbo", "libpng", "libwebp", "giflib", "libtiff",
            "libdeflate", "xz_utils", "zstd", "zlib",
        ):
            self.options[name].shared = False
        self.options["libtiff"].jpeg = "libjpeg-turbo"
        self.options["libtiff"].jbig = False
        self.options["fmt"].header_only = True

    def validate(self):
        if self.settings.os != "Linux" or self.settings.arch != "x86_64":
            raise ConanInvalidConfiguration(
                f"tessera: got {self.settings.os} on {self.settings.arch}, expected Linux on x86_64"
            )
        check_min_cppstd(self, 20)

    def generate(self):
        CMakeDeps(self).generate()
        toolchain = CMakeToolchain(self)
        for name, value in {
            "TESSERA_BUILD_TESTS": False,
            "TESSERA_BUILD_BENCH": False,
            "TESSERA_BUILD_TOOL": bool(self.options.tool),
            "TESSERA_WITH_OPENMP": bool(self.options.openmp),
            "TESSERA_WITH_ONEDNN": False,
            "TESSERA_WITH_LIBPFM": False,
            "TESSERA_WERROR": False,
        }.items():
            toolchain.cache_variables[name] = value
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        # CMakeDeps and PkgConfigDeps make these for who asks; one kind of library is in a package.
        library = os.path.join(self.package_folder, "lib")
        rmdir(self, os.path.join(library, "cmake"))
        rmdir(self, os.path.join(library, "pkgconfig"))
        rm(self, "libtessera.a" if self.options.shared else "libtessera.so*", library)

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "tessera")
        target = "tessera::tessera" if self.options.shared else "tessera::static"
        self.cpp_info.set_property("cmake_target_name", target)
        self.cpp_info.set_property("pkg_config_name", "tessera")
        self.cpp_info.libs = ["tessera"]
        if not self.options.shared:
            self.cpp_info.system_libs = ["stdc++", "m", "dl", "pthread"]
